"""Reports: query → statistics → figures and tables → HTML and terminal. They see values, never a running search."""
