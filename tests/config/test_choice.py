"""Open choices: members register themselves under their tags, also after the model that chooses among them."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import ValidationError

from graphstorm_like.config.base import KeyedError, Strict
from graphstorm_like.config.choice import Choice, members_of
from graphstorm_like.config.explain import explain
from graphstorm_like.errors import ConfigError


class Shape(Choice, tag="type"):
    """Something with an area."""

    type: str


class Square(Shape):
    """A square."""

    type: Literal["square"]
    side: float = 1.0


class Drawing(Strict):
    """Chooses shapes."""

    shape: Shape = Square(type="square")
    more: list[Shape] = []
    maybe: Shape | None = None


class Circle(Shape):
    """Defined after the model that chooses."""

    type: Literal["circle", "disk"]
    radius: float

    def model_post_init(self, context: Any, /) -> None:
        if self.radius < 0:
            raise KeyedError("radius", f"must be at least 0 (got {self.radius:g})")


class Animal(Choice, tag="kind", default="cat"):
    """A family with a default."""

    kind: str


class Cat(Animal):
    """The default."""

    kind: Literal["cat"]
    lives: int = 9


class House(Strict):
    """Chooses an animal."""

    animal: Animal = Cat(kind="cat")


def problems(root: type[Strict], data: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as raised:
        root.model_validate(data)
    return [(".".join(map(str, path)), message) for path, message in explain(root, raised.value, data)]


def test_a_member_defined_later_is_found() -> None:
    drawing = Drawing.model_validate(
        {"shape": {"type": "circle", "radius": 2.0}, "more": [{"type": "disk", "radius": 1.0}]}
    )
    assert isinstance(drawing.shape, Circle)
    assert [shape.type for shape in drawing.more] == ["disk"]


@pytest.mark.parametrize("mode", ["python", "json"])
def test_round_trip(mode: Literal["python", "json"]) -> None:
    drawing = Drawing.model_validate({"shape": {"type": "circle", "radius": 2.0}, "maybe": {"type": "square"}})
    assert Drawing.model_validate(drawing.model_dump(mode=mode)) == drawing
    assert Drawing.model_validate_json(drawing.model_dump_json()) == drawing
    assert drawing.model_dump(exclude={"shape": {"radius"}})["shape"] == {"type": "circle"}


def test_every_problem_at_once_with_its_place() -> None:
    data = {
        "shape": {"type": "sqare"},
        "more": [{"type": "square", "sid": 1.0}, {"radius": 1.0}],
        "maybe": {"type": "circle"},
    }
    assert problems(Drawing, data) == [
        ("shape.type", "must be 'square', 'circle' or 'disk' (got 'sqare'). Did you mean 'square'?"),
        ("more.0.sid", "unknown key for type square (known: type, side). Did you mean 'side'?"),
        ("more.1.type", "must be given: 'square', 'circle' or 'disk'"),
        ("maybe.radius", "must be given"),
    ]


def test_a_validator_of_a_member_blames_its_key() -> None:
    assert problems(Drawing, {"shape": {"type": "circle", "radius": -1.0}}) == [
        ("shape.radius", "must be at least 0 (got -1)")
    ]


def test_the_schema_has_members_once_and_those_defined_later() -> None:
    schema = Drawing.model_json_schema()
    assert {"Square", "Circle"} <= schema["$defs"].keys()
    assert schema["properties"]["shape"]["discriminator"]["mapping"] == {
        "square": "#/$defs/Square",
        "circle": "#/$defs/Circle",
        "disk": "#/$defs/Circle",
    }


def test_a_default_tag_unless_a_key_looks_like_it() -> None:
    assert House.model_validate({"animal": {"lives": 7}}).animal == Cat(kind="cat", lives=7)
    assert problems(House, {"animal": {"kimd": "cat"}})[0][0] == "animal.kimd"


def test_a_tag_belongs_to_one_class() -> None:
    with pytest.raises(ConfigError, match=r"type: square: must be one class \(got .*Square and .*Cube\)"):

        class Cube(Shape):
            """Takes a square's tag."""

            type: Literal["square"]


def test_members_of_a_family_only() -> None:
    assert members_of(Shape) == {"square": Square, "circle": Circle, "disk": Circle}
    assert members_of(Square) is None
    assert members_of(Strict) is None
