//go:build e2e && linux

package kafka

// This file holds the C side: a mock cluster, a producing thread, consumers.

/*
#cgo pkg-config: rdkafka
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

typedef struct { int64_t number, sent; } record;

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// client makes a producer, or a consumer that asks for records every fetch_ms: the
// mock broker does not answer before that has passed if it has nothing.
static rd_kafka_t *client(rd_kafka_type_t type, const char *servers, const char *fetch_ms, char *error, size_t size) {
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *settings[][2] = {
		{"bootstrap.servers", servers}, {"log_level", "3"}, {NULL, NULL}, {NULL, NULL}, {NULL, NULL}, {NULL, NULL},
	};
	if (type == RD_KAFKA_CONSUMER) {
		settings[2][0] = "group.id", settings[2][1] = "e2e";
		settings[3][0] = "enable.auto.commit", settings[3][1] = "false";
		settings[4][0] = "fetch.wait.max.ms", settings[4][1] = fetch_ms;
	} else {
		settings[2][0] = "linger.ms", settings[2][1] = "0";
	}
	for (int i = 0; settings[i][0]; i++)
		if (*settings[i][1] && rd_kafka_conf_set(conf, settings[i][0], settings[i][1], error, size) != RD_KAFKA_CONF_OK) {
			rd_kafka_conf_destroy(conf);
			return NULL;
		}
	rd_kafka_t *rk = rd_kafka_new(type, conf, error, size);
	if (!rk) rd_kafka_conf_destroy(conf);
	return rk;
}

typedef struct {
	rd_kafka_t *rk;
	rd_kafka_mock_cluster_t *cluster;
	const char *topic;
	int partitions, first, total, burst, gap_us;
	int failed;
	pthread_t thread;
} cluster;

// produce sends the records from first to total, a burst at a time, to each
// partition in turn.
static void *produce(void *arg) {
	cluster *c = arg;
	for (int64_t n = c->first; n < c->total;) {
		for (int i = 0; i < c->burst && n < c->total; i++, n++) {
			int p = n % c->partitions;
			record r = {n, now()};
			rd_kafka_resp_err_t e;
			while ((e = rd_kafka_producev(c->rk, RD_KAFKA_V_TOPIC(c->topic), RD_KAFKA_V_PARTITION(p),
			                              RD_KAFKA_V_VALUE(&r, sizeof r), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
			                              RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
				rd_kafka_poll(c->rk, 1);
			if (e) __atomic_store_n(&c->failed, e, __ATOMIC_SEQ_CST);
		}
		rd_kafka_poll(c->rk, 0);
		usleep(c->gap_us);
	}
	rd_kafka_resp_err_t e = rd_kafka_flush(c->rk, 60000);
	if (e) __atomic_store_n(&c->failed, e, __ATOMIC_SEQ_CST);
	return NULL;
}

static int start(cluster *c) { return pthread_create(&c->thread, NULL, produce, c); }
static int failed(cluster *c) { return __atomic_load_n(&c->failed, __ATOMIC_SEQ_CST); }

static rd_kafka_resp_err_t assign(rd_kafka_t *rk, const char *topic, int partition) {
	rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(l, topic, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_resp_err_t e = rd_kafka_poll_set_consumer(rk);
	if (!e) e = rd_kafka_assign(rk, l);
	rd_kafka_topic_partition_list_destroy(l);
	return e;
}

// take receives up to max records, and waits for the first one. An error of the
// client's makes number -1 and sent the error.
static int take(rd_kafka_t *rk, int wait_ms, record *out, int64_t *at, int max) {
	int n = 0;
	while (n < max) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, n ? 0 : wait_ms);
		if (!m) break;
		at[n] = now();
		if (m->err) {
			out[n].number = -1, out[n].sent = m->err;
		} else if (m->len == sizeof *out) {
			memcpy(&out[n], m->payload, sizeof *out);
		}
		rd_kafka_message_destroy(m);
		n++;
	}
	return n;
}
*/
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// Cluster is a mock cluster of one broker with its producer.
type Cluster struct{ c *C.cluster }

// NewCluster returns one that runs.
func NewCluster() (*Cluster, error) {
	var e [512]C.char
	c := (*C.cluster)(C.calloc(1, C.sizeof_cluster))
	none := C.CString("")
	defer C.free(unsafe.Pointer(none))
	if c.rk = C.client(C.RD_KAFKA_PRODUCER, none, none, &e[0], C.size_t(len(e))); c.rk == nil {
		return nil, fmt.Errorf("no producer: %s", C.GoString(&e[0]))
	}
	if c.cluster = C.rd_kafka_mock_cluster_new(c.rk, 1); c.cluster == nil {
		return nil, fmt.Errorf("no mock cluster")
	}
	if C.rd_kafka_brokers_add(c.rk, C.rd_kafka_mock_cluster_bootstraps(c.cluster)) == 0 {
		return nil, fmt.Errorf("the producer does not know its mock cluster")
	}
	return &Cluster{c}, nil
}

// Produce begins to produce the topic's records from first up to total, in bursts
// with a gap between. Join must be called before the next one.
func (c *Cluster) Produce(first, total, burst int, gap time.Duration) error {
	c.c.first, c.c.total, c.c.burst, c.c.gap_us = C.int(first), C.int(total), C.int(burst), C.int(gap.Microseconds())
	if rc := C.start(c.c); rc != 0 {
		return fmt.Errorf("pthread_create: %d", rc)
	}
	return nil
}

// Topic makes a topic for Produce.
func (c *Cluster) Topic(topic string, partitions int) error {
	c.c.topic, c.c.partitions = C.CString(topic), C.int(partitions)
	if e := C.rd_kafka_mock_topic_create(c.c.cluster, c.c.topic, C.int(partitions), 1); e != 0 {
		return fmt.Errorf("no topic: %d", e)
	}
	return nil
}

// Join waits until all was produced.
func (c *Cluster) Join() error {
	C.pthread_join(c.c.thread, nil)
	if e := C.failed(c.c); e != 0 {
		return fmt.Errorf("producing: %s", C.GoString(C.rd_kafka_err2str(C.rd_kafka_resp_err_t(e))))
	}
	return nil
}

// Close ends the cluster.
func (c *Cluster) Close() {
	C.rd_kafka_mock_cluster_destroy(c.c.cluster)
	C.rd_kafka_destroy(c.c.rk)
	C.free(unsafe.Pointer(c.c))
}

// Consumer reads one partition. One goroutine at a time may use it.
type Consumer struct {
	rk      *C.rd_kafka_t
	queue   *C.rd_kafka_queue_t
	records [256]C.record
	at      [256]C.int64_t
}

// Consume returns a consumer of a partition of the cluster's topic, which asks for
// records as often as fetch says.
func (c *Cluster) Consume(partition int, fetch time.Duration) (*Consumer, error) {
	var e [512]C.char
	ms := C.CString(fmt.Sprint(fetch.Milliseconds()))
	defer C.free(unsafe.Pointer(ms))
	k := &Consumer{rk: C.client(C.RD_KAFKA_CONSUMER, C.rd_kafka_mock_cluster_bootstraps(c.c.cluster), ms, &e[0], C.size_t(len(e)))}
	if k.rk == nil {
		return nil, fmt.Errorf("no consumer: %s", C.GoString(&e[0]))
	}
	if e := C.assign(k.rk, c.c.topic, C.int(partition)); e != 0 {
		return nil, fmt.Errorf("assign: %s", C.GoString(C.rd_kafka_err2str(e)))
	}
	k.queue = C.rd_kafka_queue_get_consumer(k.rk)
	return k, nil
}

// Signal has the client add 1 to an eventfd whenever its queue was empty and is
// not any more.
func (k *Consumer) Signal(fd int) {
	one := C.uint64_t(1)
	C.rd_kafka_queue_io_event_enable(k.queue, C.int(fd), unsafe.Pointer(&one), C.size_t(unsafe.Sizeof(one)))
}

// Take receives what is there, waiting up to wait for the first record (which
// blocks a thread), and calls each with a record's number and how long it was
// under way.
func (k *Consumer) Take(wait time.Duration, each func(number int, age time.Duration)) error {
	for {
		n := C.take(k.rk, C.int(wait.Milliseconds()), &k.records[0], &k.at[0], C.int(len(k.records)))
		for i, r := range k.records[:n] {
			if r.number < 0 {
				return fmt.Errorf("consuming: %s", C.GoString(C.rd_kafka_err2str(C.rd_kafka_resp_err_t(r.sent))))
			}
			each(int(r.number), time.Duration(k.at[i]-r.sent))
		}
		if int(n) < len(k.records) {
			return nil
		}
		wait = 0
	}
}

// Close ends the consumer.
func (k *Consumer) Close() {
	C.rd_kafka_queue_destroy(k.queue)
	C.rd_kafka_consumer_close(k.rk)
	C.rd_kafka_destroy(k.rk)
}
