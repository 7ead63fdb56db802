package core

// shares count how much of a bounded memory each looked-up provider uses. When it is full,
// the provider that uses most loses its oldest entry. So a customer with many logins, or a
// hostile one, takes no room from others. Listed providers have one share, named "".
type shares map[string]int

// add changes the share of a provider.
func (s *shares) add(name string, n int) {
	if *s == nil {
		*s = make(shares)
	}
	if (*s)[name] += n; (*s)[name] == 0 {
		delete(*s, name)
	}
}

// largest returns who has the largest share.
func (s shares) largest() (name string) {
	most := 0
	for of, n := range s {
		if n > most {
			name, most = of, n
		}
	}
	return name
}

// share is the name of the registration's share in bounded memory.
func (r *registration) share() string {
	if r.lookedUp {
		return r.config.Name
	}
	return ""
}
