"""What a report page holds."""

import json
import re
from typing import Any

EVIL = "</script><img onerror=x>"


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found.group(1)))


def markup_of(page: str) -> str:
    """The page without what its scripts hold."""
    return re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
