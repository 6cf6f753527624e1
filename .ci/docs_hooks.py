"""What the site takes from the code as it is built: flags, recipes, modules; and its equations.

MkDocs runs this as a hook, mkdocstrings as an extension of griffe, which reads the docstrings.

A line of a page that is one of these is replaced:

    {{ cli }}            the help of each command
    {{ recipes }}        a table of the recipes that ship
    {{ recipe keys }}    every setting of a recipe, with type, default and meaning
    {{ modules ROOM }}   the reference of each module in a package
    {{ page FILE }}      a page of the checkout's root
"""

from __future__ import annotations

import contextlib
import html
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"^\{\{ (cli|recipes|recipe keys|modules|page)(?: ([\w.]+))? \}\}$", re.MULTILINE)
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page."""
    makers = {
        "cli": commands,
        "recipes": recipes,
        "recipe keys": recipe_keys,
        "modules": modules,
        "page": page,
    }
    return MARK.sub(lambda found: makers[found[1]](found[2]), markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Turn formulas into MathML, which browsers show without a script."""

    def mathml(found: re.Match[str]) -> str:
        made = convert(html.unescape(found[3]), "block" if found[2] == "[" else "inline")
        if "\\" in made:
            raise ValueError(f"no MathML for {found[3]}")
        return made

    return FORMULA.sub(mathml, content)


class Sections(griffe.Extension):
    """Docstrings have one `Example:`; griffe knows code by `Examples:`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.M)
            obj.docstring.value = text


def commands(_: str | None) -> str:
    """The help of each command, as the command line prints it."""
    from keras_rawaudio_serving.cli import main as generate
    from keras_rawaudio_serving.serve import main as serve

    from keras_rawaudio.cli import COMMANDS, main

    names = [c.__name__.rsplit(".", 1)[-1].replace("_", "-") for c in COMMANDS]
    pages = [(f"keras-rawaudio {name}", help_of(main, [name])) for name in names]
    pages.append(("keras-rawaudio-generate", help_of(generate, [])))
    pages.append(("keras-rawaudio-serve", help_of(serve, [])))
    return "\n\n".join(f"## {name}\n\n```text\n{text}\n```" for name, text in pages)


def help_of(main: Any, words: list[str]) -> str:
    """What a command prints for `--help`."""
    os.environ["COLUMNS"] = "100"
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return shown.getvalue().strip()


def recipes(_: str | None) -> str:
    """A table of the recipes that ship."""
    from keras_rawaudio.recipes import load_recipe, recipe_names

    rows = [f"| `{name}` | {load_recipe(name).description} |" for name in recipe_names()]
    return "\n".join(["| recipe | what it is |", "|---|---|", *rows])


def recipe_keys(_: str | None) -> str:
    """Tables of every setting, from the JSON schemas of all kinds of recipe."""
    from keras_rawaudio.recipes import Recipe, RefinerRecipe, SpectralRecipe

    kinds = (Recipe, SpectralRecipe, RefinerRecipe)
    schemas = {kind.__name__: kind.model_json_schema() for kind in kinds}
    defined = {name: part for schema in schemas.values() for name, part in schema["$defs"].items()}
    first = ("TierSettings", "SpectrumSettings", "DataSettings", "TrainingSettings")
    parts = schemas | {name: defined[name] for name in first} | defined
    return "\n\n".join(table_of(name, part) for name, part in parts.items())


def table_of(name: str, part: dict[str, Any]) -> str:
    """One table: the settings of a part of a recipe."""
    needed = part.get("required", [])
    rows = [
        f"| `{key}` | {type_of(value)} | {'' if key in needed else code(value.get('default'))} "
        f"| {' '.join(value.get('description', '').split())} |"
        for key, value in part["properties"].items()
    ]
    heading = [f"## {name}", "", " ".join(part.get("description", "").split()), ""]
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*heading, *head, *rows])


def type_of(value: dict[str, Any]) -> str:
    """The type of a setting and its range, in a few characters."""
    if "anyOf" in value or "oneOf" in value:
        return " or ".join(map(type_of, value.get("anyOf") or value["oneOf"]))
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "const" in value or "enum" in value:
        return ", ".join(map(code, value.get("enum", [value.get("const")])))
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    within = [f"{sign} {value[key]}" for key, sign in limits.items() if key in value]
    items = [f"of {type_of(value['items'])}"] if value.get("items") else []
    return " ".join([value.get("type", "any"), *items, ", ".join(within)]).strip()


def code(value: Any) -> str:
    """A value as a recipe spells it; a default of several settings is listed in their own table."""
    if isinstance(value, dict):
        return ""
    spelled = {None: "null", True: "true", False: "false"}
    known = value is None or isinstance(value, bool)
    return f"`{spelled[value] if known else value}`"


def modules(room: str | None) -> str:
    """A reference to each module of a package, or to the one module of that name."""
    return "\n\n".join(f"::: {name}" for name in module_names(str(room)))


def page(name: str | None) -> str:
    """A page of the checkout's root, with its links as they are from a folder of the site."""
    text = (ROOT / str(name)).read_text(encoding="utf-8")
    return re.sub(r"\]\(docs/", "](../", text).replace("](CONTRIBUTING.md", "](contributing.md")


def module_names(room: str) -> Iterator[str]:
    """Dotted names of a package's modules, those of the packages in it too."""
    for base in (ROOT, ROOT / "serving"):
        home = base.joinpath(*room.split("."))
        for path in sorted([*home.rglob("*.py"), *home.parent.glob(f"{home.name}.py")]):
            if not path.stem.startswith("_"):
                yield ".".join(path.relative_to(base).with_suffix("").parts)
