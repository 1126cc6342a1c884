// Calls of Pipedream's platform package, as its documentation of the Task Scheduler makes them.
// node pipedream.cjs snippet '{"taskSchedulerURL", "numSeconds", "secret"}': the documented workflow step.
// node pipedream.cjs axios '{"url", "method", "headers", "data"}': the same client with any request.
const { axios } = require("@pipedream/platform");

const calls = {
  async snippet(params) {
    // N seconds from now
    this.ts = new Date(+new Date() + params.numSeconds * 1000).toISOString();

    const headers = {
      "Content-Type": "application/json",
    };
    if (params.secret) {
      headers["x-pd-secret"] = params.secret;
    }

    // Without a method axios sends GET, and the data as its body.
    return await require("@pipedream/platform").axios(this, {
      url: `${params.taskSchedulerURL}/schedule`,
      headers,
      data: {
        timestamp: this.ts,
        message: {
          name: "Luke",
          title: "Jedi",
        },
      },
    });
  },

  async axios(config) {
    return await axios(this, config);
  },
};

const [name, argument] = process.argv.slice(2);
calls[name].call({}, JSON.parse(argument)).then(
  (data) => console.log(JSON.stringify({ status: 200, data })),
  (error) => {
    if (!error.response) throw error;
    console.log(JSON.stringify({ status: error.response.status, data: error.response.data }));
  },
);
