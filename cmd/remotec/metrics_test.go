package main

import (
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"
)

// TestMetricsOfPage asserts that the page's listener has the metrics, for who has the token only, and that
// looking makes the program account for its goroutines.
func TestMetricsOfPage(t *testing.T) {
	v := view(t, []string{"-n", "2", "-placement", "spread"})
	ask := func(host, token string) (int, string) {
		t.Helper()
		r, err := http.NewRequest("GET", v.base+"metrics", nil)
		must(t, err)
		if host != "" {
			r.Host = host
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		must(t, err)
		return answer.StatusCode, string(text)
	}
	if status, _ := ask("", ""); status != http.StatusUnauthorized {
		t.Errorf("without the token: status %d", status)
	}
	if status, _ := ask("rebound.example", v.token); status != http.StatusMisdirectedRequest {
		t.Errorf("under another name: status %d", status)
	}
	used := regexp.MustCompile(`(?m)^remotec_process_goroutine_cpu_seconds_total\{process="1",session="\d+"\} (\S+)$`)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		status, text := ask("", v.token)
		m := used.FindStringSubmatch(text)
		if status == http.StatusOK && m != nil && m[1] != "0" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("status %d:\n%s", status, text)
		}
	}
	var picture struct {
		Sites []struct{ CPU int64 }
	}
	v.view("picture", "", &picture)
	var cpu int64
	for _, s := range picture.Sites {
		cpu += s.CPU
	}
	if cpu == 0 {
		t.Errorf("no place has used the processor: %+v", picture.Sites)
	}
}
