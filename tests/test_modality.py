from __future__ import annotations

from graphstorm_like.modality import IMAGE, TEXT, input_name, split_input_name


def test_names_of_inputs_tell_their_modality() -> None:
    for modality in (TEXT, IMAGE):
        assert split_input_name(input_name(modality, "title")) == (modality, "title")
    assert split_input_name("price") == (None, "price")
