// An application without pixy, for measurements. It prints that it listens, and exits.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/me", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("SERVE") == "" {
		os.Stdout.WriteString("listening\n")
		return
	}
	log.Fatal(http.Serve(listener, mux))
}
