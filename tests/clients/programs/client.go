// The net/http package of Go, with a client that keeps its connections.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

var client = &http.Client{
	Timeout:   20 * time.Second,
	Transport: &http.Transport{ExpectContinueTimeout: 20 * time.Second},
}

// unsized hides the length of a body, which is then sent in chunks.
type unsized struct{ io.Reader }

type response struct {
	Status int             `json:"status,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func send(words []string) response {
	var body io.Reader
	if words[3] != "-" {
		octets, _ := base64.StdEncoding.DecodeString(words[3])
		body = strings.NewReader(string(octets))
		if words[2] == "chunked" {
			body = unsized{body}
		}
	}
	request, err := http.NewRequest(words[0], words[1], body)
	if err != nil {
		return response{Error: err.Error()}
	}
	if words[2] == "expect" {
		request.Header.Set("Expect", "100-continue")
	}
	for _, word := range words[4:] {
		header := strings.SplitN(word, "=", 2)
		request.Header.Set(header[0], header[1])
	}
	got, err := client.Do(request)
	if err != nil {
		return response{Error: err.Error()}
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		return response{Error: err.Error()}
	}
	return response{Status: got.StatusCode, Body: text}
}

func main() {
	input := bufio.NewReader(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadString('\n')
		if err != nil {
			return
		}
		if err := output.Encode(send(strings.Fields(line))); err != nil {
			_ = output.Encode(response{Error: err.Error()})
		}
	}
}
