"""Reports: query → statistics → figures and tables → HTML and terminal. A report sees values, never a search at work."""
