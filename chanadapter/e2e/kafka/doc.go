// Package kafka tries chanadapter.Watch on a librdkafka queue's event descriptor,
// against librdkafka's mock cluster in the same process. It needs the build tag
// e2e, cgo and librdkafka (Debian: librdkafka-dev).
package kafka
