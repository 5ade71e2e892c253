//! Properties of every kind of plot.
