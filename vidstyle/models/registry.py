"""Which generator class a config stands for: a new architecture is entered here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vidstyle.models.base import BaseGenerator, GeneratorConfig
from vidstyle.models.colorizer import Colorizer
from vidstyle.models.drawer import Drawer
from vidstyle.models.generator import Generator
from vidstyle.models.table import TableGenerator


@dataclass(frozen=True)
class Architecture:
    """A generator class, and which configs describe it."""

    generator: type[BaseGenerator]
    matches: Callable[[GeneratorConfig], bool]


# The first one that matches is meant. Configs of old style files must keep their class.
ARCHITECTURES = (
    Architecture(Colorizer, lambda config: config.backbone > 0),
    Architecture(TableGenerator, lambda config: config.table_size > 0),
    Architecture(Drawer, lambda config: config.brush_width > 0),
    Architecture(Generator, lambda config: True),  # photographic, and drawn and painted ones of before
)


def build_generator(config: GeneratorConfig) -> BaseGenerator:
    """The generator that a config describes, with random weights. ValueError for sizes it cannot have."""
    return next(a for a in ARCHITECTURES if a.matches(config)).generator(config)


def draws(generator: BaseGenerator) -> bool:
    """Whether a generator draws on paper."""
    if isinstance(generator, Generator):
        return generator.texture is not None
    return isinstance(generator, Drawer)
