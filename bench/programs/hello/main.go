// Hello is what start-up is measured with.
package main

import "fmt"

func main() { fmt.Println("hello") }
