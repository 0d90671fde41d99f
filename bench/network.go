package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	httpConnections = 8
	httpWarmUp      = 200 * time.Millisecond
	httpTime        = 1500 * time.Millisecond
	echoMessage     = 64 // bytes
	echoCount       = 3000
)

// network measures program serve from this process, which is plain whatever
// the variant.
func (b *bench) network(v variant) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := b.command(ctx, v, "serve")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		in.Close()
		io.Copy(io.Discard, out)
		if werr := cmd.Wait(); err == nil && werr != nil {
			err = fmt.Errorf("running serve, %s: %w", v, werr)
		}
	}()
	var web, echo string
	if _, err := fmt.Fscanln(out, &web, &echo); err != nil {
		return fmt.Errorf("running serve, %s: reading its addresses: %w", v, err)
	}
	rate, err := httpRate("http://" + web + "/")
	if err != nil {
		return fmt.Errorf("running serve, %s: %w", v, err)
	}
	b.add(v, "http", rate, "req/s")
	took, err := echoTime(echo)
	if err != nil {
		return fmt.Errorf("running serve, %s: %w", v, err)
	}
	b.add(v, "echo", float64(took), "ns")
	return nil
}

// httpRate returns requests per second over connections that are kept alive.
func httpRate(url string) (float64, error) {
	t := &http.Transport{MaxIdleConnsPerHost: httpConnections}
	defer t.CloseIdleConnections()
	client := &http.Client{Transport: t, Timeout: runLimit / 4}
	var count, stop atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, httpConnections)
	for i := range errs {
		wg.Go(func() {
			for stop.Load() == 0 && errs[i] == nil {
				errs[i] = get(client, url)
				count.Add(1)
			}
		})
	}
	time.Sleep(httpWarmUp)
	before, start := count.Load(), time.Now()
	time.Sleep(httpTime)
	n, took := count.Load()-before, time.Since(start)
	stop.Store(1)
	wg.Wait()
	return float64(n) / took.Seconds(), errors.Join(errs...)
}

func get(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != "hello" {
		err = fmt.Errorf("GET %s: unexpected body %q", url, body)
	}
	return err
}

// echoTime returns the median time of a message there and back.
func echoTime(address string) (time.Duration, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(runLimit / 4)); err != nil {
		return 0, err
	}
	buf := make([]byte, echoMessage)
	took := make([]time.Duration, echoCount)
	for i := range took {
		start := time.Now()
		if _, err := c.Write(buf); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			return 0, err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
