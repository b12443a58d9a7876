package main

import (
	"io"
	"sync/atomic"
)

// counted counts the bytes of an answer.
type counted struct {
	io.ReadCloser

	bytes *atomic.Int64
}

func (c counted) Read(into []byte) (int, error) {
	n, err := c.ReadCloser.Read(into)
	c.bytes.Add(int64(n))
	return n, err
}
