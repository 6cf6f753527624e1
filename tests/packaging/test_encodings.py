"""Text files are UTF-8, whatever the system's own encoding is."""

import ast


def test_every_text_names_its_encoding(root):
    """A page with an accent could not be written where that is ASCII."""
    unnamed = []
    for folder in ("keras_rawaudio", "serving/keras_rawaudio_serving"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                named = any(word.arg == "encoding" for word in node.keywords)
                first = {"write_text": 1, "read_text": 0}.get(node.func.attr)
                if first is not None and not named and len(node.args) <= first:
                    unnamed.append(f"{path.relative_to(root)}:{node.lineno}")
    assert not unnamed
