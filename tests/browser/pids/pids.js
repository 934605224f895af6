// Channels to helpers of this package: one row each, with what has come of it, oldest first.
"use strict";

const element = id => document.getElementById(id);
const channels = [];

function open(payload, tag) {
    const row = element("channels").appendChild(document.createElement("li"));
    const add = text => { row.textContent = `${row.textContent} ${text}`.trim(); };
    const channel = cockpit.channel({ payload, tag });
    // The helper's first message says who it is; later ones are what it was sent, with its tag in front.
    channel.addEventListener("message", (event, text) => {
        add(text.startsWith("{") ? `pid=${JSON.parse(text).pid}` : text.replace(": ", "="));
    });
    channel.addEventListener("close", (event, options) => add(`closed=${options.problem}`));
    channels.push(channel);
}

function heed(form, act) {
    element(form).addEventListener("submit", event => {
        event.preventDefault();
        act();
    });
}

// The shell takes a page for loaded once it is connected; only then is there something to do.
cockpit.transport.wait(() => {
    heed("open", () => open(element("payload").value, element("tag").value));

    heed("say", () => {
        channels.filter(channel => channel.valid).forEach(channel => channel.send(element("words").value));
    });

    heed("reload", async () => {
        const bus = cockpit.dbus(null, { bus: "internal" });
        await bus.call("/packages", "cockpit.Packages", "Reload", []);
        element("reloads").textContent = Number(element("reloads").textContent) + 1;
    });
});
