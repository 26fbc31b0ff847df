"""Hops: an MLP over averages of neighbours' inputs that are computed before training (SIGN: Frasca et al. 2020).

h_i = MLP( relu( norm( b + W_0 x_i + sum over hops k = 1..K, and inputs x of all types, of  W_kx X_i^(kx) ) ) )
X^(kx) = sum over relations r of  a_krx * X^(krx)
X_i^(krx) = mean over j in N_r(i) of  mean over r' of  X_j^(k-1,r'x)

a_krx is a learnt number for each coordinate, as in the mixture of relation subsets of NARS (Yu et al. 2020), here of
one relation each. The sum is that of `models.inputs`, the averages are those of `inputs.hops`; here is the MLP.
"""

from __future__ import annotations

from graphstorm_like.config.gnns.hops import HopsConfig
from graphstorm_like.models.encoders.base import GNNS
from graphstorm_like.models.encoders.none import NoGnn


@GNNS.register(HopsConfig)
class Hops(NoGnn):
    """`layers` dense layers over inputs that hold the neighbours'."""
