package handler

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// requestLog is which requests are logged, as reqlog says.
type requestLog struct {
	all, rec, startOnly bool
	methods             []string
}

// logMethods are the methods that reqlog may name.
var logMethods = []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "SOURCE"}

// parseRequestLog parses the value of reqlog.
func parseRequestLog(v string) (requestLog, error) {
	var l requestLog
	v, l.startOnly = strings.CutPrefix(v, "-")
	for item := range strings.SplitSeq(v, ",") {
		item = strings.ToUpper(strings.TrimSpace(item))
		switch {
		case item == "":
		case item == "*":
			l.all = true
		case item == "REC":
			l.rec = true
		case slices.Contains(logMethods, item):
			l.methods = append(l.methods, item)
		default:
			return l, fmt.Errorf("reqlog names %q, want methods (%s), REC or *", item, strings.Join(logMethods, ", "))
		}
	}
	return l, nil
}

// requestID numbers the requests that are logged.
var requestID atomic.Uint64

// begin logs the start of a request, if its method is to be logged, and returns
// what logs its end.
func (l *requestLog) begin(q *request) func() {
	if !l.all && !slices.Contains(l.methods, q.r.Method) {
		return func() {}
	}
	start := time.Now()
	fields := []zap.Field{
		zap.Uint64("id", requestID.Add(1)),
		zap.String("client_ip", q.clientIP),
		zap.String("method", q.r.Method),
		zap.String("path", q.r.URL.Path),
		zap.Bool("chunked", slices.Contains(q.r.TransferEncoding, "chunked")),
	}
	if v := rangeHeader(q.r); v != "" {
		fields = append(fields, zap.String("range", v))
	}
	q.logger.Info("request started", fields...)
	if l.startOnly {
		return func() {}
	}
	return func() {
		d := time.Since(start)
		var rate float64 // bits a second
		if d > 0 {
			rate = float64(q.bytes) * 8 / d.Seconds()
		}
		q.logger.Info("request ended", append(fields,
			zap.Int("status", q.status),
			zap.Int64("bytes", q.bytes),
			zap.Duration("duration", d),
			zap.Float64("rate", rate))...)
	}
}

// fileEvent logs that a file was written or deleted.
func (l *requestLog) fileEvent(q *request, what string, p place) {
	if !l.rec {
		return
	}
	q.logger.Info(what, zap.String("client_ip", q.clientIP), zap.String("path", q.r.URL.Path), zap.String("file", p.dir.Abs(p.name)))
}
