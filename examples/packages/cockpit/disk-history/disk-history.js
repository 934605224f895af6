/* Plots what the extension disk-history has recorded. SVG by hand: a line is a list of points. */
(function () {
    "use strict";

    const http = cockpit.http({ internal: "extensions" });
    const mount = "/api/ext/disk-history";
    const svg = "http://www.w3.org/2000/svg";

    function element(name, attributes, parent) {
        const made = document.createElementNS(svg, name);
        for (const attribute of Object.keys(attributes))
            made.setAttribute(attribute, attributes[attribute]);
        parent.appendChild(made);
        return made;
    }

    /* Steps without a value are gaps: each run of values is a line of its own. */
    function runs(points) {
        const found = [];
        let run = null;
        points.forEach((point, index) => {
            if (point[1] === null) {
                run = null;
            } else {
                if (run === null)
                    found.push(run = []);
                run.push([index, 100 - point[1]]);
            }
        });
        return found;
    }

    function plot(place, points) {
        let figure = document.getElementById("plot-" + place);
        if (!figure) {
            const title = document.createElement("h2");
            title.textContent = place;
            figure = document.createElementNS(svg, "svg");
            figure.setAttribute("id", "plot-" + place);
            figure.setAttribute("preserveAspectRatio", "none");
            document.getElementById("plots").append(title, figure);
        }
        figure.replaceChildren();
        figure.setAttribute("viewBox", "0 0 " + Math.max(points.length - 1, 1) + " 100");
        element("line", { class: "limit", x1: 0, x2: points.length, y1: 10, y2: 10 }, figure);
        for (const run of runs(points)) {
            const line = run.length > 1 ? run : [run[0], [run[0][0] + 0.5, run[0][1]]];
            element("polyline", { points: line.map(pair => pair.join(",")).join(" ") }, figure);
        }
    }

    function say(text) {
        document.getElementById("said").textContent = text;
    }

    function refresh() {
        return http.get(mount + "/places").then(text => Promise.all(
            Object.keys(JSON.parse(text)).map(place =>
                http.get(mount + "/history/" + place, { hours: 1 })
                    .then(answer => plot(place, JSON.parse(answer).points)))));
    }

    function fail(error, body) {
        say(body ? JSON.parse(body).message : error.message || error.problem);
    }

    document.getElementById("sample").addEventListener("click", () => {
        http.post(mount + "/sample", {})
            .then(text => say(JSON.parse(text).alerts.map(alert => alert.name + ": " + alert.state).join(", ")))
            .catch(fail);
    });

    const events = cockpit.channel({
        payload: "extension-events", internal: "extensions", extension: "disk-history", topics: ["sample", "alert"],
    });
    events.addEventListener("message", () => refresh().catch(fail));
    events.addEventListener("close", (event, options) => options.problem && say(options.message || options.problem));
    refresh().catch(fail);
})();
