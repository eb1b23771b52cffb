// Calls the service with the client oapi-codegen has generated into the package kqueen.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"client/kqueen"
)

// What every answer of the generated client can tell.
type answer interface {
	StatusCode() int
	GetBody() []byte
}

// must ends the program unless a call was answered with 200.
func must[T answer](got T, err error) T {
	if err != nil {
		fail("no answer:", err)
	}
	if got.StatusCode() != http.StatusOK {
		fail(got.StatusCode(), string(got.GetBody()))
	}
	return got
}

func check(holds bool, what any) {
	if !holds {
		fail("unexpected:", what)
	}
}

func fail(why ...any) {
	fmt.Fprintln(os.Stderr, why...)
	os.Exit(1)
}

func pointer[T any](value T) *T { return &value }

func connect(token string) *kqueen.ClientWithResponses {
	withToken := func(_ context.Context, request *http.Request) error {
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		return nil
	}
	origin := os.Getenv("KQUEEN_ORIGIN") + "/api/v1"
	client, err := kqueen.NewClientWithResponses(origin, kqueen.WithRequestEditorFn(withToken))
	if err != nil {
		fail(err)
	}
	return client
}

func main() {
	ctx := context.Background()
	token := must(connect("").AuthWithResponse(ctx, kqueen.Credentials{Username: "admin", Password: "default"})).JSON200
	client := connect(token.AccessToken)

	check(must(client.UserWhoamiWithResponse(ctx)).JSON200.Username == "admin", "whoami")
	organization := must(client.OrganizationCreateWithResponse(ctx,
		kqueen.OrganizationCreate{Name: "oapi-codegen", Namespace: "oapi-codegen"})).JSON200
	user := must(client.UserCreateWithResponse(ctx, kqueen.UserCreate{
		Username: "oapi-codegen", Password: pointer("correct horse"), Organization: pointer("Organization:" + organization.Id.String()),
	})).JSON200
	check(user.Organization.Name == "oapi-codegen", user)

	// Engines and provisioners share their names with parameters of lists.
	var engines []string
	for _, engine := range *must(client.EngineListWithResponse(ctx)).JSON200 {
		engines = append(engines, engine.Name)
	}
	check(strings.Contains(strings.Join(engines, " "), "kqueen.engines.ManualEngine"), engines)
	provisioner := must(client.ProvisionerCreateWithResponse(ctx, nil,
		kqueen.ProvisionerCreate{Name: "p", Engine: "kqueen.engines.ManualEngine"})).JSON200

	events, err := client.EventStream(ctx, nil)
	check(err == nil && events.StatusCode == http.StatusOK, err)
	defer events.Body.Close()
	start := make([]byte, len("retry:"))
	_, err = io.ReadFull(events.Body, start)
	check(err == nil && string(start) == "retry:", string(start))

	cluster := must(client.ClusterCreateWithResponse(ctx, nil, kqueen.ClusterCreate{
		Name: "oapi-codegen", Provisioner: "Provisioner:" + provisioner.Id.String(),
		Kubeconfig: map[string]any{
			"apiVersion": "v1", "kind": "Config", "current-context": "c",
			"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": "http://127.0.0.1:1"}}},
			"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": ""}}}, "users": []any{},
		},
	}))
	id := cluster.JSON200.Id
	page, err := must(client.ClusterListWithResponse(ctx, &kqueen.ClusterListParams{
		Offset: pointer(0), Limit: pointer(1), Name: pointer("OAPI"), Engine: pointer("manual"), Provisioner: pointer("P"),
	})).JSON200.AsListedCluster1()
	check(err == nil && page.Total == 1 && page.Items[0].Id == id, page)

	changed := kqueen.ClusterUpdate{Name: pointer("renamed")}
	seen := &kqueen.ClusterUpdateParams{IfMatch: cluster.Headers200.ETag}
	renamed := must(client.ClusterUpdateWithResponse(ctx, id, seen, changed)).JSON200
	check(renamed.Name == "renamed", renamed)
	late, err := client.ClusterUpdateWithResponse(ctx, id, seen, changed)
	check(err == nil && late.JSON412 != nil && late.JSON412.Error == "changed_meanwhile", late)
	absent, err := client.ClusterGetWithResponse(ctx, [16]byte{15: 1})
	check(err == nil && absent.JSON404 != nil && absent.JSON404.Code == 404 && absent.JSON404.Error == "not_found", absent)
	check(must(client.ClusterDeleteWithResponse(ctx, id, nil)).JSON200.State == "deleted", "delete")
	fmt.Println("ok")
}
