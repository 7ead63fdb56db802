package main

import (
	"log"
	"net/http"
	"os"

	"github.com/pixyauth/pixy/adapters/testdata/compared/pixy"
)

func main() {
	app, err := pixy.New("https://id.example.com", "my-app", "https://app.example.com/auth/callback", []byte(os.Getenv("SESSION_KEY")), http.DefaultClient)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", app))
}
