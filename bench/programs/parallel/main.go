// Parallel measures computations that two goroutines share, in as many processes as
// there are.
package main

import (
	"fmt"
	"sync"

	"remotec.dev/bench/programs/measure"
)

func main() {
	measure.Time("parallel/mandelbrot", 1, func() { measure.Sink = mandelbrot(512) })
	for _, n := range []int{256, 512, 1024} { // rows of 2, 4 and 8 KiB
		a, b := matrix(n), matrix(n)
		measure.Time(fmt.Sprint("parallel/matmul", n), 1, func() { measure.Sink = multiply(a, b) })
		x, y := flatten(a), flatten(b)
		measure.Time(fmt.Sprint("parallel/flat", n), 1, func() { measure.Sink = multiplyFlat(x, y, n) })
	}
}

const workers = 2

// share calls f for parts of 0..n-1 of about the same work.
func share(n int, f func(part, first, step int)) {
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { f(i, i, workers) })
	}
	all.Wait()
}

func mandelbrot(n int) int {
	var inside [workers]int
	share(n, func(part, first, step int) {
		count := 0
		for y := first; y < n; y += step {
			for x := range n {
				c := complex(2*float64(x)/float64(n)-1.5, 2*float64(y)/float64(n)-1)
				z, i := c, 0
				for ; i < 500 && real(z)*real(z)+imag(z)*imag(z) < 4; i++ {
					z = z*z + c
				}
				if i == 500 {
					count++
				}
			}
		}
		inside[part] = count
	})
	return inside[0] + inside[1]
}

func matrix(n int) [][]float64 {
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
		for j := range m[i] {
			m[i][j] = float64(i ^ j)
		}
	}
	return m
}

// multiply returns the product of a and the transposed b.
func multiply(a, b [][]float64) [][]float64 {
	n := len(a)
	c := make([][]float64, n)
	share(n, func(_, first, step int) {
		for i := first; i < n; i += step {
			row := make([]float64, n)
			for j := range row {
				sum := 0.0
				for k, v := range a[i] {
					sum += v * b[j][k]
				}
				row[j] = sum
			}
			c[i] = row
		}
	})
	return c
}

func flatten(m [][]float64) []float64 {
	var all []float64
	for _, row := range m {
		all = append(all, row...)
	}
	return all
}

// multiplyFlat is multiply of matrices of n rows that are one slice each.
func multiplyFlat(a, b []float64, n int) []float64 {
	c := make([]float64, n*n)
	share(n, func(_, first, step int) {
		for i := first; i < n; i += step {
			for j := range n {
				sum := 0.0
				row := b[j*n : (j+1)*n]
				for k, v := range a[i*n : (i+1)*n] {
					sum += v * row[k]
				}
				c[i*n+j] = sum
			}
		}
	})
	return c
}
