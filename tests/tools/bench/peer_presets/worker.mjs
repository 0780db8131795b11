// The peer's worker, for the renditions of the preset `product` (tests/tools/bench/product.py). It takes the place of the
// peer's own, and keeps its server, queues and graph: validate -> normalize -> flow(finalize <- render card | zoom).
// Each rendition is a fast program of its own: one decode, one crop and one scaling for each density, one encode a file.
import { Worker, Queue, FlowProducer } from 'bullmq';
import sharp from 'sharp';
import { readFile, writeFile, unlink } from 'node:fs/promises';
import { connect, connection, jobDir, KERNEL, OPTIMISE, JOB_OPTS } from './common.mjs';

const EDGE = 2000, CARD = 400, DENSITIES = [1, 2];
const LOGO = { file: process.env.LOGO, size: 0.2, opacity: 0.6, margin: 0.03 };
const jpeg = { quality: 80, optimiseCoding: OPTIMISE };
const options = name => (process.env[name] ? { [name.split('_')[1].toLowerCase()]: Number(process.env[name]) } : {});
const avif = { quality: 55, ...options('AVIF_EFFORT'), ...(process.env.AVIF_420 ? { chromaSubsampling: '4:2:0' } : {}) };
const webp = { quality: 75, ...options('WEBP_EFFORT') };
const formats = { avif: image => image.avif(avif), webp: image => image.webp(webp), jpg: image => image.jpeg(jpeg) };

sharp.cache(false);
sharp.concurrency(1);
const redis = connect();
const normalizeQueue = new Queue('normalize', { connection });
const flow = new FlowProducer({ connection });
const pixels = info => ({ raw: { width: info.width, height: info.height, channels: info.channels } });
const toRaw = image => image.raw().toBuffer({ resolveWithObject: true });

async function write(dir, name, encoded) {
  const info = await encoded.toFile(`${dir}/${name}`);
  return { name, width: info.width, height: info.height, bytes: info.size };
}

const renditions = {
  async card(dir, master) {
    const outputs = [];
    let { data, info } = master;
    for (const density of DENSITIES.toReversed()) {   // the crop is found once, of the largest
      const position = density === Math.max(...DENSITIES) ? sharp.strategy.attention : 'centre';
      const side = CARD * density;
      ({ data, info } = await toRaw(sharp(data, pixels(info)).resize(side, side, { fit: 'cover', position, kernel: KERNEL })));
      for (const [format, encode] of Object.entries(formats))
        outputs.push(await write(dir, `card${density > 1 ? `@${density}x` : ''}.${format}`, encode(sharp(data, pixels(info)))));
    }
    return outputs;
  },
  async zoom(dir, { data, info }) {
    const margin = Math.round(LOGO.margin * Math.min(info.width, info.height));
    const width = Math.round(LOGO.size * info.width);
    const mark = await toRaw(sharp(LOGO.file).resize({ width }).ensureAlpha().linear([1, 1, 1, LOGO.opacity], [0, 0, 0, 0]));
    const place = { left: info.width - mark.info.width - margin, top: info.height - mark.info.height - margin };
    const image = sharp(data, pixels(info)).greyscale().composite([{ input: mark.data, ...pixels(mark.info), ...place }]);
    return [await write(dir, 'zoom.jpg', formats.jpg(image))];
  },
};

const stages = {
  async validate({ id }) {
    const image = sharp(`${jobDir(id)}/original`, { failOn: 'error', limitInputPixels: 100_000_000 });
    const { format, width, height } = await image.metadata();
    if (!['jpeg', 'png', 'webp'].includes(format)) throw new Error(`unsupported ${format}`);
    // The whole entropy decode, at an eighth of the size.
    await image.resize(Math.ceil(width / 16), Math.ceil(height / 16), { fit: 'fill', kernel: 'nearest' }).raw().toBuffer();
    await normalizeQueue.add('normalize', { id }, JOB_OPTS);
  },
  async normalize({ id }) {
    const { data, info } = await toRaw(sharp(`${jobDir(id)}/original`).rotate().flatten({ background: '#fff' })
      .resize(EDGE, EDGE, { fit: 'inside', withoutEnlargement: true, kernel: KERNEL }).toColourspace('srgb').removeAlpha());
    await writeFile(`${jobDir(id)}/normalized.raw`, data);
    const children = Object.keys(renditions).map(name => (
      { name: 'resize', queueName: 'resize', data: { id, name, info }, opts: { ...JOB_OPTS, failParentOnFailure: true } }));
    await flow.add({ name: 'finalize', queueName: 'finalize', data: { id }, opts: JOB_OPTS, children });
  },
  async resize({ id, name, info }) {
    return renditions[name](jobDir(id), { data: await readFile(`${jobDir(id)}/normalized.raw`), info });
  },
  async finalize({ id }, job) {
    const outputs = Object.values(await job.getChildrenValues()).flat();
    await writeFile(`${jobDir(id)}/manifest.json`, JSON.stringify({ id, outputs }));
    await unlink(`${jobDir(id)}/normalized.raw`).catch(() => {});
    await redis.hset(`img:${id}`, { status: 'done', outputs: JSON.stringify(outputs), done_ms: Date.now() });
  },
};

for (const [name, concurrency] of process.argv[2].split(',').map(each => each.split(':'))) {
  const worker = new Worker(name, job => stages[name](job.data, job), { connection, concurrency: Number(concurrency) });
  worker.on('failed', async (job, error) => {
    console.error(name, job?.data?.id, error.message);
    if (job && job.attemptsMade >= (job.opts.attempts ?? 1))
      await redis.hset(`img:${job.data.id}`, { status: 'failed', error: error.message, done_ms: Date.now() });
  });
}
