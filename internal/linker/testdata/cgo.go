// A program with C variables, which belong to one process, beside Go ones.
package main

/*
static int initialised = 7;
static int zeros[3000];
int *where(int which) { return which ? &initialised : zeros; }
int add(int n) { zeros[n] += n; return initialised += n; }
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

//go:linkname remoteShared runtime.remoteShared
var remoteShared [4]uintptr

var (
	number = 42
	head   *int
	names  = map[string]*int{}
)

func shared(p unsafe.Pointer) bool {
	a := uintptr(p)
	return remoteShared[0] <= a && a < remoteShared[1] || remoteShared[2] <= a && a < remoteShared[3]
}

func main() {
	if !shared(unsafe.Pointer(&number)) || !shared(unsafe.Pointer(&head)) || !shared(unsafe.Pointer(&names)) {
		fmt.Printf("Go variables are not within %#x\n", remoteShared)
		os.Exit(1)
	}
	if shared(unsafe.Pointer(C.where(0))) || shared(unsafe.Pointer(C.where(1))) {
		fmt.Printf("C variables are within %#x\n", remoteShared)
		os.Exit(1)
	}
	for i := range 1000 {
		names[fmt.Sprint(i)] = new(int)
		head = new(int)
		*head = i
	}
	fmt.Println("ok", C.add(3), len(names), *head)
}
