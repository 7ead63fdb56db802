package preset

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/pixyauth/pixy/core"
)

// fetch gets url from a provider's API and decodes the response. It returns the
// status of a response that is neither 200 nor an outage. The client is
// FetchUser's: it sends the access token and limits the response.
func fetch(ctx context.Context, client *http.Client, url string, into any) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case status >= 500, status == http.StatusTooManyRequests:
		return 0, fmt.Errorf("%w: %s answered %d", core.ErrUnavailable, url, status)
	case status != http.StatusOK:
		return status, nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return 0, fmt.Errorf("%s did not answer with the expected JSON: %w", url, err)
	}
	return http.StatusOK, nil
}

// mustFetch is like fetch, but returns an error for every status except 200.
func mustFetch(ctx context.Context, client *http.Client, url string, into any) error {
	status, err := fetch(ctx, client, url, into)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s answered %d", url, status)
	}
	return err
}

// present removes empty claims. Without an id there is no sub, and the login
// fails.
func present(claims map[string]any) map[string]any {
	for name, value := range claims {
		if value == "" {
			delete(claims, name)
		}
	}
	return claims
}
