package remote_test

import (
	"fmt"
	"strings"
	"testing"

	"remotec.dev/remote"
)

// The tests run in both builds:
//
//	go test ./remote
//	go test -toolexec=remotec -exec 'remotec run' ./remote

// atInit is Attached as an init function sees it.
var atInit = remote.Attached()

// TestState: the values fit together, and init functions see them already.
func TestState(t *testing.T) {
	if atInit != remote.Attached() {
		t.Errorf("Attached() = %v during initialisation, %v later", atInit, remote.Attached())
	}
	if named := remote.Server() != ""; named != remote.Attached() {
		t.Errorf("Attached() = %v, Server() = %q", remote.Attached(), remote.Server())
	}
	if p, n := remote.Process(), remote.Processes(); p < 0 || p >= n {
		t.Errorf("process %d of %d", p, n)
	}
	if !remote.Attached() && (remote.Process() != 0 || remote.Processes() != 1) {
		t.Errorf("not attached: process %d of %d", remote.Process(), remote.Processes())
	}
}

// TestOwnProcess: the own process can be named wherever another one can.
func TestOwnProcess(t *testing.T) {
	done := make(chan struct{})
	if err := remote.GoOn(remote.Process(), func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := remote.Migrate(remote.Process()); err != nil {
		t.Error(err)
	}
}

// TestNoSuchProcess: what is missing is said, and nothing is started.
func TestNoSuchProcess(t *testing.T) {
	for _, process := range []int{-1, remote.Processes(), 1 << 30} {
		err := remote.GoOn(process, func() { t.Errorf("f ran on process %d", process) })
		checkError(t, err, fmt.Sprintf("remote: starting a goroutine on process %d: ", process))
		checkError(t, remote.Migrate(process), fmt.Sprintf("remote: moving a goroutine to process %d: ", process))
	}
}

func checkError(t *testing.T, err error, prefix string) {
	t.Helper()
	want := "remotec run" // what to do
	if remote.Attached() {
		want = "numbered from 0"
	}
	if err == nil || !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that starts with %q and contains %q", err, prefix, want)
	}
}

func TestNilFunction(t *testing.T) {
	if err := remote.GoOn(remote.Process(), nil); err == nil {
		t.Error("GoOn(0, nil) gave no error")
	}
}

func ExampleGoOn() {
	results := make(chan int)
	for p := range remote.Processes() {
		if err := remote.GoOn(p, func() { results <- remote.Process() }); err != nil {
			fmt.Println(err)
			return
		}
	}
	for range remote.Processes() {
		fmt.Println("a goroutine ran on process", <-results)
	}
	// Output:
	// a goroutine ran on process 0
}

func ExampleMigrate() {
	const elsewhere = 7
	if err := remote.Migrate(elsewhere); err != nil {
		fmt.Println("still on process", remote.Process())
	}
	// Output:
	// still on process 0
}
