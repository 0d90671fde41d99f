// Kmeans groups random points into clusters (Lloyd's algorithm), with as many
// goroutines as it is told. It is an ordinary Go program: in several processes, on one
// host or more, it runs as it is.
//
//	go build -toolexec=remotec ./examples/kmeans
//	remotec run -n 2 -placement spread ./kmeans -workers 2
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"time"
)

const dimensions = 8

type point [dimensions]float64

func (p *point) distance(q *point) (d float64) {
	for i := range p {
		x := p[i] - q[i]
		d += x * x
	}
	return d
}

// partial is what a worker has found out about its points, by cluster.
type partial struct {
	sums   []point
	counts []int
}

func main() {
	n := flag.Int("points", 200_000, "number of points")
	k := flag.Int("clusters", 64, "number of clusters")
	rounds := flag.Int("rounds", 20, "how often the centres are moved")
	workers := flag.Int("workers", 2, "goroutines")
	flag.Parse()

	random := rand.New(rand.NewSource(1))
	points := make([]point, *n)
	for i := range points {
		for j := range points[i] {
			points[i][j] = random.Float64()
		}
	}
	centres := append([]point(nil), points[:*k]...)

	start := time.Now()
	// A worker gets the centres of each round, and answers with sums.
	tasks := make([]chan []point, *workers)
	results := make([]chan partial, *workers)
	for w := range tasks {
		tasks[w], results[w] = make(chan []point), make(chan partial)
		mine := points[w**n / *workers : (w+1)**n / *workers]
		go func() {
			for centres := range tasks[w] {
				results[w] <- assign(mine, append([]point(nil), centres...))
			}
		}()
	}
	for range *rounds {
		for _, t := range tasks {
			t <- centres
		}
		total := partial{make([]point, *k), make([]int, *k)}
		for _, r := range results {
			total.add(<-r)
		}
		centres = total.means(centres)
	}
	for _, t := range tasks {
		close(t)
	}
	took := time.Since(start)

	var energy float64
	for i := range points {
		_, d := nearest(&points[i], centres)
		energy += d
	}
	fmt.Printf("%d points in %d clusters: mean square distance %.6f\n", *n, *k, energy/float64(*n))
	fmt.Fprintf(os.Stderr, "%d rounds with %d workers: %.2f s\n", *rounds, *workers, took.Seconds())
}

// assign finds the nearest centre of each point.
func assign(points, centres []point) partial {
	p := partial{make([]point, len(centres)), make([]int, len(centres))}
	for i := range points {
		best, _ := nearest(&points[i], centres)
		p.counts[best]++
		for j, x := range points[i] {
			p.sums[best][j] += x
		}
	}
	return p
}

func nearest(p *point, centres []point) (best int, distance float64) {
	distance = p.distance(&centres[0])
	for i := 1; i < len(centres); i++ {
		if d := p.distance(&centres[i]); d < distance {
			best, distance = i, d
		}
	}
	return best, distance
}

func (p *partial) add(q partial) {
	for i := range p.sums {
		p.counts[i] += q.counts[i]
		for j, x := range q.sums[i] {
			p.sums[i][j] += x
		}
	}
}

// means returns the new centres; a cluster without points keeps its old one.
func (p *partial) means(old []point) []point {
	centres := append([]point(nil), old...)
	for i, n := range p.counts {
		for j := range centres[i] {
			if n > 0 {
				centres[i][j] = p.sums[i][j] / float64(n)
			}
		}
	}
	return centres
}
