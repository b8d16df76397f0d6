//go:build postgres && cgo && linux

package main

// This file holds libpq's part.

/*
#cgo pkg-config: libpq
#include <libpq-fe.h>
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/wakechan/wakechan/internal/postgres"
)

type cluster struct {
	*postgres.Cluster
	listener, notifier *C.PGconn
}

func init() {
	open = func() (server, error) {
		c, err := postgres.Start()
		if err != nil {
			return nil, err
		}
		s := &cluster{Cluster: c}
		info := C.CString("user=postgres dbname=postgres host=" + c.Dir())
		defer C.free(unsafe.Pointer(info))
		s.listener, s.notifier = C.PQconnectdb(info), C.PQconnectdb(info)
		if err = query(s.listener, "listen orders"); err != nil {
			s.close()
			return nil, err
		}
		return s, nil
	}
}

func query(c *C.PGconn, text string) error {
	cText := C.CString(text)
	defer C.free(unsafe.Pointer(cText))
	r := C.PQexec(c, cText)
	defer C.PQclear(r)
	if s := C.PQresultStatus(r); s != C.PGRES_COMMAND_OK {
		return failure(c)
	}
	return nil
}

func failure(c *C.PGconn) error {
	return fmt.Errorf("libpq: %s", strings.TrimSpace(C.GoString(C.PQerrorMessage(c))))
}

func (s *cluster) fd() uintptr { return uintptr(C.PQsocket(s.listener)) }

func (s *cluster) received() (texts []string, err error) {
	if C.PQconsumeInput(s.listener) == 0 {
		return nil, failure(s.listener)
	}
	for n := C.PQnotifies(s.listener); n != nil; n = C.PQnotifies(s.listener) {
		texts = append(texts, C.GoString(n.extra))
		C.PQfreemem(unsafe.Pointer(n))
	}
	return texts, nil
}

func (s *cluster) notify(text string) error { return query(s.notifier, "notify orders, '"+text+"'") }

func (s *cluster) close() {
	C.PQfinish(s.listener)
	C.PQfinish(s.notifier)
	s.Stop()
}
