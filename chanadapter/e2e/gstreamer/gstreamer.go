//go:build e2e && linux

package gstreamer

// This file holds the C side: pipelines, and the callbacks of their appsinks.

/*
#cgo CFLAGS: -I${SRCDIR}/../../../ring -I${SRCDIR}/../../../notifier
#cgo pkg-config: gstreamer-1.0 gstreamer-app-1.0
#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ring.h"

enum { WIDTH = 64, HEIGHT = 48 };

// A record. The end of a stream has no picture.
typedef struct {
	uint32_t stream, ended;
	uint64_t frame; // as the source numbered it
	int64_t at;     // when the callback began
	uint32_t sum;
	uint8_t picture[WIDTH * HEIGHT];
} record;

enum { END = offsetof(record, sum) };

typedef struct {
	notifier_ring ring;
	uint32_t number;
	uint64_t held; // frames that found no room
	int failed;
	GstElement *pipeline;
	record record;
} stream;

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t sum_of(const uint8_t *picture) {
	uint32_t sum = 2166136261u;
	for (int i = 0; i < WIDTH * HEIGHT; i++) sum = (sum ^ picture[i]) * 16777619u;
	return sum;
}

static int send_record(stream *s, size_t n) {
	int code = notifier_ring_try(s->ring, &s->record, n);
	if (code == NOTIFIER_FULL) s->held++;
	while (code == NOTIFIER_FULL)
		if ((code = notifier_ring_wait(s->ring, n, -1)) == NOTIFIER_OK) code = notifier_ring_try(s->ring, &s->record, n);
	return code;
}

static GstFlowReturn on_sample(GstAppSink *sink, gpointer user) {
	stream *s = user;
	GstFlowReturn flow = GST_FLOW_ERROR;
	GstMapInfo map;
	s->record.at = now();
	GstSample *sample = gst_app_sink_pull_sample(sink);
	if (!sample) return GST_FLOW_EOS;
	GstBuffer *buffer = gst_sample_get_buffer(sample);
	if (gst_buffer_map(buffer, &map, GST_MAP_READ)) {
		if (map.size == sizeof s->record.picture) {
			s->record.frame = GST_BUFFER_OFFSET(buffer);
			memcpy(s->record.picture, map.data, map.size);
			s->record.sum = sum_of(map.data);
			if (send_record(s, sizeof s->record) >= 0) flow = GST_FLOW_OK;
		}
		gst_buffer_unmap(buffer, &map);
	}
	gst_sample_unref(sample);
	if (flow != GST_FLOW_OK) s->failed = 1;
	return flow;
}

static void on_eos(GstAppSink *sink, gpointer user) {
	(void)sink;
	stream *s = user;
	s->record.at = now();
	s->record.ended = 1;
	if (send_record(s, END) < 0) s->failed = 1;
}

// NULL, or what went wrong.
static char *stream_open(stream *s, int frames) {
	GError *err = NULL;
	char line[256];
	snprintf(line, sizeof line, "videotestsrc num-buffers=%d pattern=%s ! video/x-raw,format=GRAY8,width=%d,height=%d ! appsink name=sink sync=false",
	         frames, s->number % 2 ? "ball" : "snow", WIDTH, HEIGHT);
	s->pipeline = gst_parse_launch(line, &err);
	if (err) {
		char *message = strdup(err->message);
		g_error_free(err);
		return message;
	}
	GstElement *sink = gst_bin_get_by_name(GST_BIN(s->pipeline), "sink");
	GstAppSinkCallbacks callbacks = {.new_sample = on_sample, .eos = on_eos};
	gst_app_sink_set_callbacks(GST_APP_SINK(sink), &callbacks, s, NULL);
	gst_object_unref(sink);
	return NULL;
}

static int stream_play(stream *s) { return gst_element_set_state(s->pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE; }

// Returns when its streaming thread is out of the callbacks.
static void stream_close(stream *s) {
	if (!s->pipeline) return;
	gst_element_set_state(s->pipeline, GST_STATE_NULL);
	gst_object_unref(s->pipeline);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// Frame is what a callback sent.
type Frame struct {
	Stream int
	Number int // from 0; the number of the stream's frames, if Ended
	Ended  bool
	Took   time.Duration // since the callback began
}

// Parse reads a record, and checks its picture.
func Parse(b []byte) (f Frame, err error) {
	if len(b) < C.END {
		return f, fmt.Errorf("a record of %d bytes", len(b))
	}
	r := (*C.record)(unsafe.Pointer(unsafe.SliceData(b)))
	f = Frame{int(r.stream), int(r.frame), r.ended != 0, time.Duration(C.now() - r.at)}
	switch {
	case f.Ended:
		f.Number++ // the last one's
	case len(b) != C.sizeof_record || C.sum_of(&r.picture[0]) != r.sum:
		err = fmt.Errorf("the picture of %+v is not what the callback saw", f)
	}
	return f, err
}

// Streams are pipelines that play at once, as fast as they can.
type Streams struct{ all []*C.stream }

// Open makes so many, of so many frames each, which push to the ring. An error says what
// GStreamer lacks.
func Open(ring uint64, count, frames int) (*Streams, error) {
	C.gst_init(nil, nil)
	s := &Streams{}
	for i := range count {
		one := (*C.stream)(C.calloc(1, C.sizeof_stream))
		one.ring, one.number, one.record.stream = C.notifier_ring(ring), C.uint32_t(i), C.uint32_t(i)
		s.all = append(s.all, one)
		if message := C.stream_open(one, C.int(frames)); message != nil {
			defer C.free(unsafe.Pointer(message))
			s.Close()
			return nil, errors.New(C.GoString(message))
		}
	}
	return s, nil
}

// Play starts all of them.
func (s *Streams) Play() error {
	for i, one := range s.all {
		if C.stream_play(one) == 0 {
			return fmt.Errorf("pipeline %d does not start", i)
		}
	}
	return nil
}

// Close stops them, and returns how many frames had to wait for room, and whether a
// callback failed. Finish or close the ring before, if it may be full.
func (s *Streams) Close() (held int, failed bool) {
	for _, one := range s.all {
		C.stream_close(one)
		held += int(one.held)
		failed = failed || one.failed != 0
		C.free(unsafe.Pointer(one))
	}
	s.all = nil
	return held, failed
}
