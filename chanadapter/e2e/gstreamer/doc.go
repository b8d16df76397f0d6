// Package gstreamer takes the frames of GStreamer pipelines through a ring: each appsink's
// callback, on its pipeline's streaming thread, waits for room with notifier_ring_wait,
// which holds that pipeline back. It needs the build tag e2e, cgo, libgstreamer1.0-dev and
// libgstreamer-plugins-base1.0-dev (Debian), and gstreamer1.0-plugins-base where it runs.
package gstreamer
