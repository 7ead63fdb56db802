package logintest

import (
	"encoding/json"
	"fmt"
	"slices"
)

// checkDetails checks authorization_details (RFC 9396 section 2): a JSON array
// of objects whose types are registered.
func (a *authorizationRequest) checkDetails() *refusal {
	if !a.parameters.Has("authorization_details") {
		return nil
	}
	var details []map[string]any
	if err := json.Unmarshal([]byte(a.get("authorization_details")), &details); err != nil || len(details) == 0 {
		return &refusal{"invalid_authorization_details", "authorization_details must be a JSON array of objects"}
	}
	for _, detail := range details {
		if kind, _ := detail["type"].(string); !slices.Contains(a.client.AuthorizationDetailsTypes, kind) {
			return &refusal{"invalid_authorization_details", fmt.Sprintf("the type %v is not one of this client's", detail["type"])}
		}
	}
	return nil
}
