// Command before is a finished Gin application. Command after is the same
// application with a login.
package main

import (
	_ "embed"
	"html/template"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

//go:embed page.html
var pageHTML string

// notes are what the application is about.
type notes struct {
	mu  sync.Mutex
	all []string
}

func main() {
	router := gin.New()
	router.Use(gin.Recovery())
	router.SetHTMLTemplate(template.Must(template.New("page").Parse(pageHTML)))
	n := new(notes)
	router.GET("/", func(c *gin.Context) { c.HTML(http.StatusOK, "home", nil) })
	private := router.Group("/notes")
	private.GET("", n.list)
	private.POST("", n.add)
	server := &http.Server{Addr: os.Getenv("ADDR"), Handler: router, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func (n *notes) list(c *gin.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.HTML(http.StatusOK, "notes", gin.H{"Notes": n.all})
}

func (n *notes) add(c *gin.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, c.PostForm("note"))
	c.Redirect(http.StatusSeeOther, "/notes")
}
