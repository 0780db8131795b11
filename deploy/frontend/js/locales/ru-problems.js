// Russian sentences for the API's codes and broken rules. The English ones come from the API.

export const codes = {
  // Failed jobs and refused files.
  empty_file: "Файл пуст.",
  unsupported_format: "Файл — не изображение в одном из принимаемых форматов.",
  image_too_large: "В изображении больше пикселей или сторона длиннее, чем разрешено.",
  image_needs_too_much_memory: "Обработка изображения требует больше памяти, чем разрешено.",
  too_many_frames: "В анимации больше кадров, чем разрешено.",
  image_truncated: "Изображение обрывается: пиксели есть не все.",
  image_corrupt: "Изображение повреждено и не читается.",
  invalid_operation: "Операция не подходит к этому изображению.",
  // Dead jobs.
  attempts_exhausted: "Этап слишком часто прерывался.",
  dispatches_exhausted: "Задание слишком часто отправлялось заново.",
  internal_error: "Ошибка на нашей стороне.",
  // Refused requests.
  unauthorized: "Нужен ключ API.",
  job_not_found: "Такого задания нет.",
  invalid_request: "Запрос нарушает правила.",
  unavailable: "Хранилище не отвечает. Ничего не принято, попробуйте ещё раз.",
  overloaded: "Очереди переполнены. Попробуйте немного позже.",
  rate_limited: "Слишком много запросов. Попробуйте немного позже.",
  malformed_form: "Форма повреждена в пути.",
  digest_mismatch: "Файл повреждён в пути.",
  invalid_header: "Заголовок запроса не читается.",
  invalid_form: "Форма нарушает правила.",
  file_missing: "В форме нет файла.",
  too_many_files: "В форме больше одного файла.",
  too_many_parts: "В форме слишком много полей.",
  upload_too_large: "Файл больше, чем разрешено.",
  source_gone: "Исходный файл этого задания больше не хранится.",
  idempotency_key_in_use: "Такой же запрос ещё принимается.",
  idempotency_key_reused: "Ключ повтора уже использован для другого запроса.",
  not_ready: "Результат ещё не готов.",
  job_failed: "У задания нет результата.",
  expired: "Результат больше не хранится.",
  rendition_not_found: "У задания нет такого изображения.",
  range_not_satisfiable: "Запрошенный диапазон — вне файла.",
  invalid_cursor: "Такой страницы списка нет.",
  not_retryable: "Это задание нельзя продолжить.",
};

export const rules = {
  side: "Сторона: {actual} пикселей, разрешено не больше {limit}.",
  pixels: "Пикселей: {actual}, разрешено не больше {limit}.",
  animation_pixels: "Пикселей во всех кадрах: {actual}, разрешено не больше {limit}.",
  frames: "Кадров: {actual}, разрешено не больше {limit}.",
  minimum: "Значение {actual} меньше наименьшего, {limit}.",
  maximum: "Значение {actual} больше наибольшего, {limit}.",
};
