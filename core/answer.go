package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// getJSON fetches a document of the provider. The errors are typed; they never
// hold the body, which may be a page of somebody else.
func getJSON(ctx context.Context, client *http.Client, from string, into any) error {
	bad := func(err error) *Error {
		return errBadMetadata("%s: %w; check Issuer (redirects are not followed)", from, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return bad(err)
	}
	request.Header.Set("Accept", "application/json")
	body, _, err := answerTo(client, request, bad)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return bad(fmt.Errorf("it is not the JSON it should be: %w", err))
	}
	return nil
}

// answerTo returns the body and the kind of an answer with status 200. Every
// other answer is an outage, or bad.
func answerTo(client *http.Client, request *http.Request, bad func(error) *Error) (body []byte, kind string, err error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, "", errProviderDown(err)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case isOutage(status):
		return nil, "", errProviderDown(fmt.Errorf("%s answered %d", request.URL, status))
	case status != http.StatusOK:
		return nil, "", bad(fmt.Errorf("it answered %d", status))
	}
	body, err = io.ReadAll(response.Body)
	if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
		return nil, "", bad(fmt.Errorf("it is larger than %d bytes", tooBig.Limit))
	} else if err != nil {
		return nil, "", errProviderDown(fmt.Errorf("reading %s: %w", request.URL, err))
	}
	kind, _, _ = mime.ParseMediaType(response.Header.Get("Content-Type"))
	return body, kind, nil
}

// isOutage reports whether a status says that a provider is down or busy, and
// nothing about what it was asked.
func isOutage(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}
