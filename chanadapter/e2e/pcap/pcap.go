//go:build e2e && linux

package pcap

// This file holds the C side: a capture, and what is taken of it.

/*
#cgo pkg-config: libpcap
#include <errno.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS = 14 + 20 + 8 }; // Ethernet, which lo looks like, IPv4 and UDP

typedef struct {
	uint64_t *numbers;
	int n;
} batch;

static void packet(u_char *user, const struct pcap_pkthdr *header, const u_char *bytes) {
	batch *b = (batch *)user;
	if (header->caplen >= HEADERS + 8) memcpy(&b->numbers[b->n++], bytes + HEADERS, 8);
}

// Takes at most `most` packets. Returns how many, or an error below 0.
static int take(pcap_t *p, uint64_t *numbers, int most) {
	batch b = {numbers, 0};
	int code = pcap_dispatch(p, most, packet, (u_char *)&b);
	return code < 0 ? code : b.n;
}

// Returns 0, or an error; one that is below 0 after pcap_create is told by pcap_statustostr.
static int start(pcap_t *p, const char *filter) {
	struct bpf_program program;
	char text[PCAP_ERRBUF_SIZE];
	int code = pcap_set_snaplen(p, 128);
	if (!code) code = pcap_set_immediate_mode(p, 1);
	if (!code) code = pcap_set_buffer_size(p, 8 << 20);
	if (!code) code = pcap_activate(p);
	if (code < 0) return code;
	if (pcap_datalink(p) != DLT_EN10MB) return PCAP_ERROR_RFMON_NOTSUP;
	code = pcap_compile(p, &program, filter, 1, PCAP_NETMASK_UNKNOWN);
	if (code) return code;
	code = pcap_setfilter(p, &program);
	pcap_freecode(&program);
	return code ? code : pcap_setnonblock(p, 1, text);
}

static int dropped(pcap_t *p) {
	struct pcap_stat s;
	return pcap_stats(p, &s) ? -1 : (int)s.ps_drop;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// ErrDenied is why Open fails where the process may not capture.
var ErrDenied = errors.New("may not capture packets: no CAP_NET_RAW")

// Capture sees the UDP packets to a port of 127.0.0.1.
type Capture struct{ p *C.pcap_t }

// Open starts a capture.
func Open(port int) (*Capture, error) {
	var text [C.PCAP_ERRBUF_SIZE]C.char
	device, filter := C.CString("lo"), C.CString(fmt.Sprintf("udp dst port %d", port))
	defer C.free(unsafe.Pointer(device))
	defer C.free(unsafe.Pointer(filter))
	p := C.pcap_create(device, &text[0])
	if p == nil {
		return nil, errors.New(C.GoString(&text[0]))
	}
	switch code := C.start(p, filter); code {
	case 0:
		return &Capture{p}, nil
	case C.PCAP_ERROR_PERM_DENIED:
		C.pcap_close(p)
		return nil, ErrDenied
	default:
		defer C.pcap_close(p)
		return nil, fmt.Errorf("%s: %s", C.GoString(C.pcap_statustostr(code)), C.GoString(C.pcap_geterr(p)))
	}
}

// FD returns the descriptor that is readable when there are packets.
func (c *Capture) FD() uintptr { return uintptr(C.pcap_get_selectable_fd(c.p)) }

// Take fills into with the first eight bytes of packets, and returns how many there were,
// without waiting. It leaves what does not fit.
func (c *Capture) Take(into []uint64) (int, error) {
	n := C.take(c.p, (*C.uint64_t)(unsafe.SliceData(into)), C.int(len(into)))
	if n < 0 {
		return 0, errors.New(C.GoString(C.pcap_geterr(c.p)))
	}
	return int(n), nil
}

// Dropped returns how many packets the kernel had no room for.
func (c *Capture) Dropped() int { return int(C.dropped(c.p)) }

// Close ends the capture.
func (c *Capture) Close() { C.pcap_close(c.p) }
