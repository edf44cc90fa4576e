"""Check every page in a real Chromium: widths, colour schemes, languages and accessibility."""
