"""The studies of `wavetwin study`: what is measured, as tables, pictures and one page.

The numbers are the runtime's (`wavetwin.runtime.study`); here they get images, words and a folder.
"""
