"""Every page in a real Chromium: widths, colours and languages, and what an accessibility checker says."""
