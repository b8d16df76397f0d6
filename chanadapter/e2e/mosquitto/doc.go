// Package mosquitto drives clients of libmosquitto by a chanadapter.Group, against a
// broker that is restarted. It needs the build tag e2e, cgo, libmosquitto and the broker
// (Debian: libmosquitto-dev, mosquitto).
package mosquitto
