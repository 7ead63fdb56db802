// Command after is the application of command before, with a login.
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

	"github.com/pixyauth/pixy/adapters/ginlogin"
	"github.com/pixyauth/pixy/core"
)

//go:embed page.html
var pageHTML string

// notes are what the application is about.
type notes struct {
	mu  sync.Mutex
	all []string
}

func main() {
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: os.Getenv("OIDC_ISSUER"), ClientID: os.Getenv("OIDC_CLIENT_ID")}},
		RedirectURL: os.Getenv("OIDC_REDIRECT_URL"),
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
	})
	if err != nil {
		log.Fatal(err)
	}
	login := ginlogin.New(auth)
	router := gin.New()
	router.Use(gin.Recovery())
	router.SetHTMLTemplate(template.Must(template.New("page").Parse(pageHTML)))
	n := new(notes)
	login.Mount(router)
	router.GET("/", func(c *gin.Context) { c.HTML(http.StatusOK, "home", nil) })
	private := router.Group("/notes", login.RequireUser)
	private.GET("", n.list)
	private.POST("", n.add)
	server := &http.Server{Addr: os.Getenv("ADDR"), Handler: router, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func (n *notes) list(c *gin.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.HTML(http.StatusOK, "notes", gin.H{"Notes": n.all, "User": ginlogin.User(c)})
}

func (n *notes) add(c *gin.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, c.PostForm("note"))
	c.Redirect(http.StatusSeeOther, "/notes")
}
