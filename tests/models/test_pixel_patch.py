"""Pixel embeddings of patches: shapes, masks and gradients."""

from __future__ import annotations

import pytest
import torch

from graphstorm_like.config.image_encoders import PixelPatchConfig
from graphstorm_like.models.image_encoders import IMAGE_ENCODERS, ImageInputSpec, ImageProjection
from graphstorm_like.models.image_encoders.pixel_patch import PixelPatch


def encoder(**settings: object) -> PixelPatch:
    torch.manual_seed(0)
    config = PixelPatchConfig.model_validate({"type": "pixel_patch", "patch": 4, "width": 16, "heads": 2, **settings})
    built = IMAGE_ENCODERS.of(config)(config, 8, 12)
    assert isinstance(built, PixelPatch)
    return built


def pixels(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 8 * 12 * 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_a_vector_an_image(layers: int, pool: str) -> None:
    model = encoder(layers=layers, pool=pool).eval()
    vectors = model(pixels(5))
    assert vectors.shape == (5, 16)
    torch.testing.assert_close(model(pixels(5)[2:3]), vectors[2:3])
    assert model(pixels(0)).shape == (0, 16)


@pytest.mark.known_answer("image_encoders/pixel_patch")
def test_patches_are_squares_of_the_image() -> None:
    image = torch.arange(8 * 12 * 3).remainder(256).to(torch.uint8).view(8, 12, 3)
    patches = encoder().patches(image.view(1, -1))
    assert patches.shape == (1, 6, 48)
    # The fifth patch: the second row of patches, the second column.
    expected = image[4:8, 4:8].reshape(-1).float() / 127.5 - 1.0
    torch.testing.assert_close(patches[0, 4], expected)


def test_masks() -> None:
    """Half of the images; of those up to half of the patches, evenly drawn."""
    torch.manual_seed(3)
    config = PixelPatchConfig(type="pixel_patch", patch=1, width=4, heads=1)
    masks = PixelPatch(config, 10, 10).draw_masks(4000, torch.device("cpu"))
    counts = masks.sum(dim=1)
    is_masked = counts > 0
    assert is_masked.float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert counts.max() <= 50
    assert counts[is_masked].float().mean().item() == pytest.approx(25, abs=1)
    assert masks[is_masked].float().mean(dim=0).std() < 0.03  # no patch more often than another
    never = PixelPatch(config.model_copy(update={"mask_probability": 0.0}), 10, 10)
    assert not never.draw_masks(100, torch.device("cpu")).any()


def test_masked_patches_get_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    model = encoder().train()
    masked = torch.zeros(2, 6, dtype=torch.bool)
    masked[0, [1, 4]] = True
    monkeypatch.setattr(model, "draw_masks", lambda count, device: masked)
    image = pixels(2).float().requires_grad_()
    model(image).square().sum().backward()
    assert image.grad is not None
    of_patches = model.patches(image.grad * 127.5 + 127.5).abs().sum(dim=2)  # `patches` rescales: undo that
    assert ((of_patches == 0) == masked).all()
    assert model.mask_token.grad is not None
    assert model.mask_token.grad.abs().sum() > 0


def test_evaluation_masks_nothing_and_may_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    config = encoder(mask_probability=1.0).config
    projection = ImageProjection(ImageInputSpec(config, 8, 12), 5).eval()
    whole = projection(pixels(7)).detach()
    monkeypatch.setattr("graphstorm_like.models.image_encoders.base.CHUNK_PIXELS", 8 * 12 * 2)
    with torch.no_grad():
        torch.testing.assert_close(projection(pixels(7)), whole)
        assert projection(pixels(0)).shape == (0, 5)
