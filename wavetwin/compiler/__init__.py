"""The compiler: spec text in, module graph, training plan and run scripts out; never imports torch."""
