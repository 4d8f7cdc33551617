"""Small models of what must hold, each driven step by step against the real door over a real store that may crash."""
