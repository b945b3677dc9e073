"""Groups of a Decision in; variants (one copy each, with its recipients) out."""

from mta.relay.split.variants import Variant, variants

__all__ = ["Variant", "variants"]
