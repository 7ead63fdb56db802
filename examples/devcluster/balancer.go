package devcluster

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
)

// maxBody limits the body of a request. The balancer reads the body first, so
// that it can send the request to another replica again.
const maxBody = 1 << 20

// transport opens a new connection for each request. An idle connection may
// belong to a replica that has died, and a request on it may not be safe to
// repeat.
var transport = &http.Transport{DisableKeepAlives: true, DisableCompression: true}

// handler returns the balancer, which has a page of its own.
func (c *cluster) handler() http.Handler {
	admin := http.NewServeMux()
	admin.HandleFunc("GET /balancer", c.show)
	admin.HandleFunc("POST /balancer/rotate", func(w http.ResponseWriter, r *http.Request) {
		if err := c.rotate(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		http.Redirect(w, r, "/balancer", http.StatusSeeOther)
	})
	admin.HandleFunc("POST /balancer/kill", func(w http.ResponseWriter, r *http.Request) {
		for _, replica := range c.replicas {
			if replica.name == r.FormValue("replica") {
				replica.kill()
			}
		}
		http.Redirect(w, r, "/balancer", http.StatusSeeOther)
	})
	protected := http.NewCrossOriginProtection().Handler(admin)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/balancer") {
			protected.ServeHTTP(w, r)
			return
		}
		c.balance(w, r)
	})
}

// balance sends requests to the replicas in turn. It skips a replica that is
// starting or has died.
func (c *cluster) balance(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request body cannot be read", http.StatusRequestEntityTooLarge)
		return
	}
	turn := int(c.turn.Add(1) - 1)
	for i := range c.replicas {
		r.Body = io.NopCloser(bytes.NewReader(body))
		if c.replicas[(turn+i)%len(c.replicas)].answer(w, r) {
			return
		}
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "no replica can answer", http.StatusServiceUnavailable)
}

// answer passes a request on and reports whether it has been answered. If not,
// the balancer may ask another replica: either this one did not receive the
// request, or the request is safe to repeat (RFC 9110 section 9.2.1).
func (r *replica) answer(w http.ResponseWriter, request *http.Request) (answered bool) {
	if !r.use.TryRLock() {
		return false
	}
	defer r.use.RUnlock()
	if r.process == nil {
		return false
	}
	answered = true
	proxy := httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(r.process.url)
			p.Out.Host = p.In.Host // the application compares it with a form's Origin
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			dial := new(net.OpError)
			unheard := errors.As(err, &dial) && dial.Op == "dial"
			if unheard || request.Method == http.MethodGet || request.Method == http.MethodHead {
				answered = false
				return
			}
			http.Error(w, "the replica has died", http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, request)
	return answered
}

// show serves the balancer's page.
func (c *cluster) show(w http.ResponseWriter, r *http.Request) {
	type row struct {
		Name, Host, Port string
		PID              int // 0: starting
	}
	var rows []row
	for _, replica := range c.replicas {
		line := row{Name: replica.name}
		if replica.use.TryRLock() {
			if p := replica.process; p != nil {
				line.Host, line.Port, line.PID = p.url.Hostname(), p.url.Port(), p.command.Process.Pid
			}
			replica.use.RUnlock()
		}
		rows = append(rows, line)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, rows)
}

//go:embed balancer.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))
