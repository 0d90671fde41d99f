// Program failing starts goroutines in all processes and ends in the way that its
// first argument says, in the goroutine that its second one says, of 0 for main
// and 1 and so on for those that are started one after the other.
package main

import (
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	at, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("begin")
	if at == 0 {
		fail(os.Args[1])
	}
	var begun sync.WaitGroup
	wait := make(chan bool)
	for k := 1; k < 8; k++ {
		begun.Add(1)
		go func() {
			begun.Done()
			<-wait
			if k == at {
				fail(os.Args[1])
			}
			select {}
		}()
	}
	begun.Wait()
	close(wait)
	if os.Args[1] == "goexit" {
		time.Sleep(100 * time.Millisecond)
		fmt.Println("end")
		return
	}
	select {}
}

func fail(how string) {
	switch how {
	case "panic":
		panic(fmt.Errorf("error %d", 7))
	case "nil":
		var p *int
		*p = 1
	case "exit":
		fmt.Println("exiting")
		os.Exit(3)
	case "fatal":
		var mu sync.Mutex
		mu.Unlock()
	case "log":
		log.SetFlags(0)
		log.Fatal("giving up")
	case "goexit":
		runtime.Goexit()
	case "deadlock":
		<-make(chan int)
	case "stack":
		var f func(n int) int
		f = func(n int) int { return f(n+1) + 1 }
		f(0)
	case "raise":
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
	case "wait":
		time.AfterFunc(time.Hour, func() {})
		fmt.Println("ready")
	case "busy":
		fmt.Println("ready")
		//lint:ignore SA5002 to spin is the point
		for {
		}
	case "talk":
		fmt.Println("ready")
		c := make(chan int)
		go func() {
			for v := range c {
				c <- v + 1
			}
		}()
		for i := 0; ; i++ {
			c <- i
			<-c
		}
	case "notify":
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
		fmt.Println("ready")
		fmt.Println("got", <-c)
		os.Exit(4)
	}
	time.Sleep(time.Hour)
}
