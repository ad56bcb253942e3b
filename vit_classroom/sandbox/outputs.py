"""Outputs of cells as a sandbox reports them. They may be forged: only what is in form is kept."""

import base64
import binascii

PNG = b"\x89PNG\r\n\x1a\n"


def sanitize_outputs(outputs) -> list[dict]:
    """Outputs in nbformat's form: streams, errors, plain text and PNG.

    Anything else is dropped, in particular what a browser would run. `outputs` may be any JSON.
    """
    kept = []
    for each in outputs[:60] if isinstance(outputs, list) else []:
        kind = each.get("output_type") if isinstance(each, dict) else None
        if kind == "stream" and each.get("name") in ("stdout", "stderr"):
            kept.append(
                {"output_type": "stream", "name": each["name"], "text": _text(each.get("text"))}
            )
        elif kind == "error":
            trace = each.get("traceback") if isinstance(each.get("traceback"), list) else []
            kept.append(
                {
                    "output_type": "error",
                    "ename": _text(each.get("ename"), 200),
                    "evalue": _text(each.get("evalue"), 2000),
                    "traceback": [_text(line) for line in trace[:20]],
                }
            )
        elif kind in ("display_data", "execute_result") and isinstance(each.get("data"), dict):
            data = {"text/plain": _text(each["data"].get("text/plain"))}
            picture = each["data"].get("image/png")
            if isinstance(picture, str) and len(picture) < 500_000 and _is_png(picture):
                data["image/png"] = picture
            more = {"execution_count": None} if kind == "execute_result" else {}
            kept.append({"output_type": kind, "data": data, "metadata": {}, **more})
    return kept


def _text(value, most: int = 25_000) -> str:
    text = value[:most] if isinstance(value, str) else ""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_png(picture: str) -> bool:
    try:
        return base64.b64decode(picture, validate=True).startswith(PNG)
    except (binascii.Error, ValueError):
        return False
