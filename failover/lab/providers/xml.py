"""Route 53's XML, as little of it as the stand-in speaks."""

from xml.etree import ElementTree
from xml.sax.saxutils import escape


def parse(body: bytes) -> ElementTree.Element:
    """A request's document without namespaces. Raises ElementTree.ParseError."""
    root = ElementTree.fromstring(body)  # noqa: S314 - only this machine's own clients reach the stand-in
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    return root


def element(name: str, text: object = None, **children: object) -> str:
    """One element with a text, or with children in the order given."""
    inner = "".join(element(key, value) for key, value in children.items())
    return f"<{name}>{inner or escape(str('' if text is None else text))}</{name}>"


def error_body(code: str, sentence: str) -> str:
    """The document of an error."""
    return (
        '<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
        f"{element('Error', Type='Sender', Code=code, Message=sentence)}<RequestId>lab</RequestId></ErrorResponse>"
    )
