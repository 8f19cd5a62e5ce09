"""Write figures and tables for a paper: SVG and PDF by matplotlib, data as CSV, tables in LaTeX."""
